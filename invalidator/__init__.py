"""Changes become CDN invalidations."""
