"""The JSON API: endpoints alone; what they do is in the services."""
