"""Real hosts for tests, on this machine: namespaces with their own systemd, sshd, root folder and network link."""
