"""A bicycle workshop: repairs, the mechanics who do them, and a board that shows both."""
