"""Which statform this is, and which Console API it asks unless it is told of another."""

__version__ = "0.1.0"
BASE_URL = "https://statsigapi.net"
