"""What saves files by a restic on their own host, into a repository that this machine lends it for the time of a job."""
