"""Who asks, and what they may: identity, cookies, XSRF, origins, authorization, the guard in front of all."""
