"""What a run builds in the account, and takes away again."""
