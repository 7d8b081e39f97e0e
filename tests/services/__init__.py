"""The services that tests run against: one module a service, started by the test itself on a free port."""
