"""Watchkeeper: keeps servers and network devices running by standing orders in YAML."""
