"""Status: version, activity, metrics, health, the API's description; the server's own files."""
