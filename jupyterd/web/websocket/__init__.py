"""Websockets: Autobahn's protocol under the guard, and permessage-deflate."""
