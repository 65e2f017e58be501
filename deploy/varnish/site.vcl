# What edgebake.vcl includes: this place's bakers, who may invalidate, and limits. Edit it; it is an example.
# It holds a secret: chown root:varnish, chmod 640.

backend baker_1 {
    .host = "127.0.0.1"; # a baker, or the load balancer in front of several: EDGEBAKE_FEEDS_PORT
    .port = "8081";
    .connect_timeout = 1s;
    .between_bytes_timeout = 2s;
}

backend whole {
    .host = "127.0.0.1"; # varnishd itself: -a whole=127.0.0.1:6083
    .port = "6083";
    .connect_timeout = 1s;
    .between_bytes_timeout = 1s;
}

acl edgebake_workers {
    "localhost"; # the hosts of `edgebake work`
}

sub vcl_init {
    new bakers = directors.round_robin();
    bakers.add_backend(baker_1);
    var.global_set("secret", ""); # EDGEBAKE_VARNISH_SECRET; empty: nobody may invalidate
    var.global_set("origin_timeout", "2s"); # EDGEBAKE_ORIGIN_TIMEOUT
    var.global_set("max_ttl", "3600s"); # EDGEBAKE_MAX_TTL
    var.global_set("front_page", ""); # a file of HTML to answer at /; empty: 404
}

# Varnish does not check signed cookies, so nothing private is served. A check of your own goes here.
sub edgebake_private {
    return (synth(403, "This edge checks no signatures, so it serves nothing private."));
}
