//! A front served requests over real sockets: connections, files, bodies, reloads.

use crate::common::{Front, log_lines};

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let front = Front::start("server { LISTEN; location / { return 200 \"$uri\"; } }");
    let mut client = front.client();
    client.send("GET /one HTTP/1.1\r\nHost: t\r\n\r\nGET /two HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().text(), "/one");
    assert_eq!(client.answer().text(), "/two");
}

#[test]
fn a_head_may_come_byte_by_byte_and_with_bare_line_feeds() {
    let front = Front::start("server { LISTEN; return 200 \"$http_x\"; }");
    let mut client = front.client();
    for byte in "GET / HTTP/1.1\nHost: t\nX: y\n\n".chars() {
        client.send(&byte.to_string());
    }
    assert_eq!(client.answer().text(), "y");
}

#[test]
fn a_client_that_does_not_finish_its_head_in_time_is_disconnected() {
    let front = Front::start("server { LISTEN; client_header_timeout 100ms; return 200; }");
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost:");
    assert!(client.is_closed());
}

#[test]
fn after_a_parse_error_nothing_more_is_read() {
    let front = Front::start("server { LISTEN; return 200 \"$uri\"; }");
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n");
    client.send("\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    assert!(client.is_closed());
}

#[test]
fn a_body_nobody_wants_never_becomes_a_request() {
    let front = Front::start("server { LISTEN; return 200 \"$uri\"; }");
    let mut client = front.client();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
    client
        .send(&format!("POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", hidden.len()));
    client.send(hidden);
    client.send("GET /b HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().text(), "/a");
    assert_eq!(client.answer().text(), "/b");
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let front = Front::start("server { LISTEN; client_max_body_size 10; location /x { } }");
    let mut client = front.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (413, "close"));
}

#[test]
fn files_answer_conditions_and_ranges() {
    let front = Front::start("server { LISTEN; }");
    front.file("a.txt", b"0123456789");
    let first = front.get("/a.txt");
    assert_eq!((first.status, first.text()), (200, "0123456789"));
    assert_eq!(first.header("accept-ranges"), "bytes");
    let mut client = front.client();
    let tag = first.header("etag").to_owned();
    client.send(&format!("GET /a.txt HTTP/1.1\r\nHost: t\r\nIf-None-Match: {tag}\r\n\r\n"));
    assert_eq!(client.answer().status, 304);
    client.send("GET /a.txt HTTP/1.1\r\nHost: t\r\nRange: bytes=2-4\r\n\r\n");
    let part = client.answer();
    assert_eq!((part.status, part.text()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    client.send("GET /a.txt HTTP/1.1\r\nHost: t\r\nRange: bytes=10-\r\n\r\n");
    assert_eq!(client.answer().status, 416);
}

#[test]
fn a_large_file_comes_whole_and_the_connection_stays() {
    let front = Front::start("server { LISTEN; }");
    let contents: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    front.file("big", &contents);
    let mut client = front.client();
    for _ in 0..2 {
        client.send("GET /big HTTP/1.1\r\nHost: t\r\n\r\n");
        assert!(client.answer().body == contents);
    }
}

#[test]
fn an_error_page_keeps_the_status_and_a_circle_of_them_ends() {
    let front = Front::start(
        "server { LISTEN; error_page 404 /sorry; location = /sorry { return 200 sorry; } \
         location /circle { rewrite ^ /circle last; } \
         location /named { error_page 404 =202 @there; } location @there { return 200 named; } }",
    );
    let answer = front.get("/none");
    assert_eq!((answer.status, answer.text()), (404, "sorry"));
    let named = front.get("/named/none");
    assert_eq!((named.status, named.text()), (202, "named"));
    assert_eq!(front.get("/circle").status, 500);
}

#[test]
fn after_a_reload_an_open_connection_is_served_by_the_new_configuration() {
    let mut front = Front::start("server { LISTEN; return 200 old; }");
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().text(), "old");
    assert_eq!(front.configure("server { LISTEN; return 200 new; }"), "Ready");
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().text(), "new");
    front.wait_until_retired(1);
}

#[test]
fn a_request_that_comes_while_the_front_stops_is_answered_with_close() {
    let front = Front::start("server { LISTEN; return 200 last; }");
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().header("connection"), "keep-alive");
    client.send("GET / HTTP/1.1\r\nHo");
    front.quit();
    client.send("st: t\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.text(), "last");
    assert!(client.is_closed() || answer.header("connection") == "close");
    assert_eq!(front.wait(), 0);
}

#[test]
fn idle_connections_do_not_keep_a_stopping_front() {
    let front = Front::start("server { LISTEN; return 200; }");
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    client.answer();
    front.quit();
    assert!(client.is_closed());
    assert_eq!(front.wait(), 0);
}

#[test]
fn the_access_log_tells_what_was_sent() {
    let front = Front::start(
        "log_format own '$request|$status|$body_bytes_sent|$http_x|$arg_a'; \
         server { LISTEN; access_log DIR/access.log own; location / { return 200 12345; } }",
    );
    let mut client = front.client();
    client.send("GET /?a=1 HTTP/1.1\r\nHost: t\r\nX: \"q\"\r\n\r\n");
    client.answer();
    let log = log_lines(&front.directory.join("access.log"), 1);
    assert_eq!(log, "GET /?a=1 HTTP/1.1|200|5|\\x22q\\x22|1\n");
}

#[test]
fn a_missing_file_is_named_in_the_error_log() {
    let front = Front::start("server { LISTEN; server_name here; }");
    assert_eq!(front.get("/none.txt").status, 404);
    let log = log_lines(&front.directory.join("error.log"), 1);
    let line = log.lines().find(|line| line.contains("[error]")).unwrap();
    let path = front.directory.join("html/none.txt").display().to_string();
    assert!(line.contains(&format!("open() \"{path}\" failed (2: No such file or directory)")));
    assert!(line.ends_with(
        "client: 127.0.0.1, server: here, request: \"GET /none.txt HTTP/1.1\", host: \"test\""
    ));
}
