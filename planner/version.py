"""The version of statform, and the default URL of the Console API."""

__version__ = "0.1.0"
BASE_URL = "https://statsigapi.net"
