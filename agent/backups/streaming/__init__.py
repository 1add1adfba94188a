"""What the engine `stream` is made of: the command's script, its output on the way into restic, checks of a dump."""
