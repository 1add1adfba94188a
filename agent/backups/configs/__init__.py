"""What the engine `device_config` is made of: reading a device, the gate before a commit, what is hidden, the history."""
