"""Short-lived Alibaba Cloud credentials for every process on localhost."""

__version__ = "0.2.0"
