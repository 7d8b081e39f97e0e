"""A shop: catalogue, basket, checkout, orders, and what a shop needs around them."""
