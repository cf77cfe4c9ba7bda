"""What keeps answers near: the copy in this process, and how it is filled and kept true."""
