"""CloudFront's standard access logs (v1): read from files, folders and S3, and counted in memory that does not grow."""
