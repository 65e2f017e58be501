vcl 4.1;

# Edgebake's edge on Varnish 7 (Debian: varnish, varnish-modules). docs/varnish.md explains it part by part.
# What differs from place to place is in site.vcl, beside this file: bakers, who may invalidate, limits.
#
# Every miss goes through this same varnishd twice. The outer fetch asks the socket "whole", where the inner one passes
# the request to a baker and answers when it has the whole answer. So the outer fetch's first_byte_timeout bounds the
# whole answer, a body that drips in included: Varnish itself only bounds the time to the first byte and between two.

import directors;
import std;
import var;
import xkey;

include "./site.vcl";

sub vcl_recv {
    if (req.restarts == 0) {
        unset req.http.Edgebake-Stale; # ours: nobody sets it from outside
        # Nothing of a viewer changes an answer, and no origin has to know who they are.
        unset req.http.Authorization;
        unset req.http.Cookie;
        unset req.http.Range;
        unset req.http.X-Forwarded-For;
    }
    if (req.method == "PURGE") {
        call edgebake_invalidate;
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(403, "The edge takes GET and HEAD."));
    }
    set req.url = regsub(req.url, "\?.*$", "");
    if (req.url == "/" && var.global_get("front_page") != "") {
        return (synth(700, "OK"));
    }
    if (req.url !~ "^/(feed|private|author|post|static|live)(/|$)" || req.url ~ "(?i)/\.|\.\.|%2e") {
        return (synth(404, "There is nothing here."));
    }
    if (local.socket == "whole") {
        set req.backend_hint = bakers.backend();
        return (pass);
    }
    if (req.url ~ "^/private(/|$)") {
        call edgebake_private;
    }
    set req.backend_hint = whole;
    return (hash);
}

# One request a batch, or some where its tags fill more than a header. The same again drops what came back: harmless.
sub edgebake_invalidate {
    if (client.ip !~ edgebake_workers) {
        return (synth(403, "address"));
    }
    if (var.global_get("secret") == "" || req.http.Edgebake-Secret != var.global_get("secret")) {
        return (synth(403, "secret"));
    }
    set req.http.Edgebake-Dropped = "0";
    if (req.http.Edgebake-Tags) {
        std.collect(req.http.Edgebake-Tags);
        set req.http.Edgebake-Dropped = xkey.purge(std.tolower(req.http.Edgebake-Tags));
    }
    return (synth(200, "OK"));
}

# The path is the key: no host, no cookie, no query string.
sub vcl_hash {
    hash_data(req.url);
    return (lookup);
}

sub vcl_hit {
    if (obj.ttl >= 0s || req.http.Edgebake-Stale == "any") {
        return (deliver);
    }
    if (obj.ttl + std.duration(obj.http.Edgebake-Swr, 0s) >= 0s) {
        return (deliver); # stale, and refreshed behind the viewer's back
    }
    # Older than stale-while-revalidate, within stale-if-error: ask, as if it were not there.
    set req.http.Edgebake-Stale = "ask";
    set req.grace = 0s;
    return (restart);
}

sub vcl_miss {
    # Who waited behind somebody whose fetch failed takes what is stale, and does not wait a time-out of its own.
    if (req.http.Edgebake-Stale == "ask" && now - req.time > 100ms) {
        set req.http.Edgebake-Stale = "any";
        set req.grace = 100000s;
        return (restart);
    }
    return (fetch);
}

sub vcl_backend_fetch {
    if (bereq.is_bgfetch && bereq.http.Edgebake-Stale == "any") {
        return (abandon); # it was asked a moment ago, and failed
    }
    set bereq.first_byte_timeout = std.duration(var.global_get("origin_timeout"), 2s);
    return (fetch);
}

sub vcl_backend_response {
    set beresp.do_stream = false; # nobody is sent what may yet be cut off
    if (bereq.uncacheable) {
        return (deliver); # the inner fetch
    }
    if (beresp.status >= 500 && (bereq.is_bgfetch || bereq.http.Edgebake-Stale == "ask")) {
        return (abandon); # what is stale stays, and is served
    }
    unset beresp.http.Set-Cookie;
    if (beresp.http.Cache-Control ~ "(?i)(^|[ ,])(private|no-store|no-cache)") {
        call edgebake_uncacheable;
        return (deliver);
    }
    if (beresp.status >= 500) {
        call edgebake_error;
        return (deliver);
    }
    if (beresp.http.Cache-Control !~ "(?i)max-?age" || beresp.ttl <= 0s) {
        call edgebake_uncacheable;
        return (deliver);
    }
    call edgebake_stale;
    call edgebake_capped;
    set beresp.keep = 120s; # for If-None-Match; it is not served
    std.collect(beresp.http.Cache-Tag);
    set beresp.http.xkey = std.tolower(beresp.http.Cache-Tag);
    unset beresp.http.Edgebake-Renewed;
    if (beresp.was_304) {
        set beresp.http.Edgebake-Renewed = "1";
    }
    return (deliver);
}

# Hit-for-miss: whoever asks for it next waits for nobody. What can be kept takes its place.
sub edgebake_uncacheable {
    set beresp.uncacheable = true;
    set beresp.ttl = 60s;
    if (beresp.status >= 500) {
        set beresp.ttl = 1s;
    }
}

# An error is shared by those who wait for it, and kept for a second, or each would wait a time-out of its own, one after
# the other.
sub edgebake_error {
    set beresp.ttl = 1s;
    set beresp.grace = 0s;
    set beresp.keep = 0s;
}

# Grace is the larger of the two stale windows; vcl_hit tells them apart.
sub edgebake_stale {
    set beresp.http.Edgebake-Swr = "0s";
    if (beresp.http.Cache-Control ~ "(?i)stale-while-revalidate=\d+") {
        set beresp.http.Edgebake-Swr =
            regsub(beresp.http.Cache-Control, "(?i)^.*stale-while-revalidate=(\d+).*$", "\1s");
    }
    set beresp.grace = std.duration(beresp.http.Edgebake-Swr, 0s);
    if (beresp.http.Cache-Control ~ "(?i)stale-if-error=\d+") {
        set beresp.http.Edgebake-Sie = regsub(beresp.http.Cache-Control, "(?i)^.*stale-if-error=(\d+).*$", "\1s");
        if (std.duration(beresp.http.Edgebake-Sie, 0s) > beresp.grace) {
            set beresp.grace = std.duration(beresp.http.Edgebake-Sie, 0s);
        }
        unset beresp.http.Edgebake-Sie;
    }
}

# The horizon that the ledger counts with: s-maxage and the stale windows, up to EDGEBAKE_MAX_TTL.
sub edgebake_capped {
    if (beresp.ttl > std.duration(var.global_get("max_ttl"), 3600s)) {
        set beresp.ttl = std.duration(var.global_get("max_ttl"), 3600s);
    }
    if (beresp.ttl + beresp.grace > std.duration(var.global_get("max_ttl"), 3600s)) {
        set beresp.grace = std.duration(var.global_get("max_ttl"), 3600s) - beresp.ttl;
    }
}

sub vcl_backend_error {
    if (!bereq.uncacheable && (bereq.is_bgfetch || bereq.http.Edgebake-Stale == "ask")) {
        return (abandon);
    }
    set beresp.status = 502;
    set beresp.reason = "The origin did not answer, or was cut off.";
    if (now - bereq.time + 20ms >= std.duration(var.global_get("origin_timeout"), 2s)) { # it gives up a bit early
        set beresp.status = 504;
        set beresp.reason = "The origin's answer was not complete in time.";
    }
    set beresp.http.Content-Type = "text/plain; charset=utf-8";
    set beresp.body = beresp.reason;
    call edgebake_error;
    return (deliver);
}

sub vcl_deliver {
    if (local.socket == "whole") {
        return (deliver);
    }
    if (resp.status >= 400) {
        set resp.http.X-Cache = "Error from varnish";
    } elsif (obj.hits > 0) {
        set resp.http.X-Cache = "Hit from varnish";
    } elsif (resp.http.Edgebake-Renewed) {
        set resp.http.X-Cache = "RefreshHit from varnish";
    } else {
        set resp.http.X-Cache = "Miss from varnish";
    }
    set resp.http.Cache-Control = "no-cache"; # a browser asks again, and mostly gets a 304
    set resp.http.Via = "1.1 varnish";
    unset resp.http.Accept-Ranges;
    unset resp.http.Cache-Tag;
    unset resp.http.Edgebake-Renewed;
    unset resp.http.Edgebake-Swr;
    unset resp.http.X-Varnish;
    unset resp.http.xkey;
    return (deliver);
}

sub vcl_synth {
    if (req.http.Edgebake-Stale == "ask" && resp.status == 503) {
        set req.http.Edgebake-Stale = "any"; # the origin fails: what is stale will do
        set req.grace = 100000s;
        return (restart);
    }
    set resp.http.Content-Type = "text/plain; charset=utf-8";
    if (req.method == "PURGE" && resp.status == 200) {
        # What `EdgeMisconfigured` is about: whether this VCL is ours, and set as Edgebake's settings say.
        set resp.http.Edgebake-Vcl = "1";
        set resp.http.Edgebake-Tag-Header = "Cache-Tag";
        set resp.http.Edgebake-Origin-Timeout = var.global_get("origin_timeout");
        set resp.http.Edgebake-Max-Ttl = var.global_get("max_ttl");
        set resp.http.Edgebake-Dropped = req.http.Edgebake-Dropped;
    }
    if (resp.status == 700) {
        set resp.status = 200;
        set resp.http.Content-Type = "text/html; charset=utf-8";
        set resp.body = std.fileread(var.global_get("front_page"));
        return (deliver);
    }
    if (resp.status >= 400) {
        set resp.http.X-Cache = "Error from varnish";
    }
    set resp.http.Cache-Control = "no-cache";
    set resp.body = resp.reason;
    return (deliver);
}
