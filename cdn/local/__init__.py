"""The local edge: a small CloudFront for a laptop and the tests, with CloudFront's own invalidation API."""
