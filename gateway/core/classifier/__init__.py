"""The classifier: what it is shown of a conversation, how it is asked, how its reply is read."""
