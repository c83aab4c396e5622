//! URLs of sentinels and clusters: the forms that are accepted, and one sentence for each mistake.

use duologue::store::Store;

#[test]
fn urls_of_sentinels_and_clusters_are_accepted() {
    for url in [
        "redis+sentinel://one:26379,two:26379/mymaster",
        "redis-sentinel://one,two/mymaster/3",
        "rediss+sentinel://user:p%40ss@[::1]:26379/mymaster?sentinel_password=secret",
        "redis+sentinel://:pass@one/mymaster?sentinel_username=watcher&sentinel_password=secret",
        "redis+cluster://one:6379,two:6380",
        "rediss-cluster://user:pass@one,10.0.0.2:6380/0",
        "redis+cluster://one/",
    ] {
        assert_eq!(Store::check_url(url), Ok(()), "{url}");
    }
}

#[test]
fn a_mistake_in_the_url_is_named_without_its_password() {
    let cases = [
        (
            "redis+sentinel://one:26379",
            "the name of the master is missing",
        ),
        (
            "redis+sentinel://one:26379/",
            "the name of the master is missing",
        ),
        ("redis+sentinel:///mymaster", "`` is not a host"),
        ("redis+sentinel://one,,two/mymaster", "`` is not a host"),
        (
            "redis+sentinel://u:secret@one:port/mymaster",
            "`one:port` is not a host",
        ),
        (
            "redis+sentinel://u:secret@one/mymaster/first",
            "`first` is not the number of a database",
        ),
        (
            "redis+sentinel://one/mymaster/-1",
            "`-1` is not the number of a database",
        ),
        (
            "redis+sentinel://one/mymaster?password=secret",
            "`password` is not a parameter",
        ),
        (
            "redis+cluster://u:secret@one:6379/3",
            "`/3` is not possible: a Redis Cluster has database 0 only",
        ),
        (
            "rediss+cluster://u:secret@one:6379,two:6379/12",
            "`/12` is not possible: a Redis Cluster has database 0 only",
        ),
        (
            "rediss+sentinel://u:secret@one:26379",
            "the name of the master is missing",
        ),
        (
            "redis+cluster://one:6379?protocol=resp3",
            "redis+cluster:// has no parameters",
        ),
        ("redis+cluster://u:secret@", "`` is not a host"),
    ];
    for (url, expected) in cases {
        let why = Store::check_url(url).unwrap_err();
        assert!(why.contains(expected), "{url}: {why}");
        assert!(!why.contains("secret"), "{why}");
    }
}
