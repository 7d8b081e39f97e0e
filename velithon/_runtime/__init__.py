"""What a process needs to run an application, apart from requests."""
