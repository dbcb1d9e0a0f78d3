"""What the server tells of itself: version, activity, metrics, health, its API's description; its own files."""
