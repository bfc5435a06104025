"""What a look at the remote says against a plan, before anything is sent. Pure: `run` and `looks` ask the API."""
