"""The same application, written for each peer as its own documentation would have it.

Each module has `make(setup)`, which returns the application, and `app`, made for the setup that the environment names.
Setups: `plain`; `cors` (CORS and a function middleware); `layers` (an access log besides); `routes-N` (N typed routes).
"""
