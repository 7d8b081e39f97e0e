"""The cost of a request without a server: the application called with requests that are objects in memory."""
