"""What the shop does, whoever asks for it: the API, the pages, or a job."""
