//! What the front makes of upstreams' answers, and of requests that reach none, compared with
//! nginx's habits.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Client, Front, read_head, upstream};

/// An upstream that sends a piece, waits until it is told, and sends the rest.
fn in_two_pieces(first: &'static str, rest: &'static str) -> (String, std::sync::mpsc::Sender<()>) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let address = upstream(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(first.as_bytes()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(rest.as_bytes()).unwrap();
    });
    (address, go)
}

/// What comes up to some bytes.
fn read_until(client: &mut Client, end: &[u8]) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

fn proxied(address: &str) -> Front {
    Front::start(&format!("server {{ LISTEN; location / {{ proxy_pass http://{address}; }} }}"))
}

#[test]
fn buffered_pieces_wait_for_the_end_of_a_small_answer() {
    let (address, go) = in_two_pieces("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none", "two");
    let front = proxied(&address);
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let early = client.stream.read(&mut [0; 1]);
    assert!(early.is_err(), "{early:?}");
    client.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    go.send(()).unwrap();
    assert_eq!(client.answer().text(), "onetwo");
}

#[test]
fn events_are_not_held_back_by_buffering() {
    let (address, go) =
        in_two_pieces("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", "");
    let front = proxied(&address);
    let mut client = front.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    read_until(&mut client, b"data: 1\n\n");
    go.send(()).unwrap();
}

#[test]
fn a_full_buffer_reaches_the_client_before_the_answer_ends() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let address = upstream(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        for _ in 0..5 {
            stream.write_all(&[b'x'; 1000]).unwrap();
        }
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(b"end").unwrap();
    });
    let front = proxied(&address);
    let mut client = front.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let mut seen = vec![0; 4096];
    client.stream.read_exact(&mut seen).unwrap();
    go.send(()).unwrap();
    client.stream.read_to_end(&mut seen).unwrap();
    assert!(seen.ends_with(b"xxxend"));
}

#[test]
fn an_upstreams_204_keeps_its_content_type() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
    });
    assert_eq!(proxied(&address).get("/").header("content-type"), "application/json");
    let front = Front::start("server { LISTEN; default_type text/plain; return 204; }");
    assert_eq!(front.get("/").header("content-type"), "");
}

#[test]
fn an_internal_location_answers_with_what_the_app_said_about_the_file() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /files/a.txt\r\nContent-Type: image/png\r\n\
             Content-Disposition: attachment\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             Cache-Control: private\r\nX-Other: no\r\nETag: \"no\"\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; }}
         location /files/ {{ internal; alias DIR/html/; }} }}"
    ));
    front.file("a.txt", b"content");
    let answer = front.get("/");
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(answer.header("content-type"), "image/png");
    assert_eq!(answer.header("content-disposition"), "attachment");
    assert_eq!(answer.header("cache-control"), "private");
    assert!(answer.head.contains("Set-Cookie: a=1\r\n") && answer.head.contains("Cookie: b=2\r\n"));
    assert!(!answer.head.contains("no\r\n") && !answer.head.contains("\"no\""), "{}", answer.head);
}

#[test]
fn the_page_of_a_missing_internal_file_is_html() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /files/none\r\nContent-Type: image/png\r\n\
             Set-Cookie: a=1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; }}
         location /files/ {{ internal; alias DIR/html/; }} }}"
    ));
    let answer = front.get("/");
    assert_eq!((answer.status, answer.header("content-type")), (404, "text/html"));
    assert_eq!(answer.header("set-cookie"), "a=1");
}

#[test]
fn request_uri_of_an_absolute_target_is_path_and_query() {
    let front = Front::start("server { LISTEN; return 200 $request_uri; }");
    let mut client = front.client();
    client.send("GET http://test/a%20b?c=d HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), "/a%20b?c=d");
    client.send("GET http://test HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), "/");
}

#[test]
fn trace_is_refused_here_and_the_connection_ends() {
    let front = Front::start("server { LISTEN; return 200; }");
    let mut client = front.client();
    client.send("TRACE / HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (405, "close"));
    assert!(answer.text().contains("<h1>405 Not Allowed</h1>"));
    assert!(client.is_closed());
}

#[test]
fn a_204_is_stored_like_any_answer() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "proxy_cache_path DIR/cache keys_zone=one:1m; server {{ LISTEN; location / {{
         proxy_pass http://{address}; proxy_cache one; proxy_cache_key $uri;
         add_header X-Cache $upstream_cache_status; }} }}"
    ));
    assert_eq!(front.get("/").header("x-cache"), "MISS");
    let answer = front.get("/");
    assert_eq!((answer.status, answer.header("x-cache")), (204, "HIT"));
    assert_eq!(answer.header("content-length"), "");
}

#[test]
fn redirects_and_refreshes_of_an_upstream_lead_to_the_client_s_side() {
    let address = upstream(|mut stream| {
        let head = read_head(&mut stream);
        let host = head.split("Host: ").nth(1).unwrap().lines().next().unwrap();
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{host}/in/x\r\nContent-Length: 0\r\n\
             Refresh: 7; URL=http://{host}/in/x\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location /out/ {{ proxy_pass http://{address}/in/; }} }}"
    ));
    let answer = front.get("/out/");
    assert_eq!(answer.header("location"), format!("http://test:{}/out/x", front.port));
    assert_eq!(answer.header("refresh"), "7; URL=/out/x");
}

#[test]
fn a_uri_rewritten_in_its_location_is_passed_on_as_a_whole() {
    let address = upstream(|mut stream| {
        let head = read_head(&mut stream);
        let line = head.lines().next().unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location /a/ {{ rewrite ^/a/(.*)$ /users/$1 break;
         proxy_pass http://{address}/ignored/; }} }}"
    ));
    assert_eq!(front.get("/a/b").text(), "GET /users/b HTTP/1.1");
}

#[test]
fn a_connection_stays_as_long_as_the_location_of_its_last_request_says() {
    let front = Front::start(
        "server { LISTEN; keepalive_timeout 0; location / { keepalive_timeout 60s; return 200; } }",
    );
    let mut client = front.client();
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.answer().header("connection"), "keep-alive");
        client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let early = client.stream.read(&mut [0; 1]);
        assert!(early.is_err(), "{early:?}");
        client.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
}

#[test]
fn an_empty_etag_or_date_takes_the_field_away() {
    let front = Front::start(
        "server { LISTEN; add_header ETag ''; add_header Last-Modified ''; location / { } }",
    );
    front.file("a.txt", b"content");
    let answer = front.get("/a.txt");
    assert_eq!((answer.header("etag"), answer.header("last-modified")), ("", ""));
}

#[test]
fn fields_may_say_who_answers_while_the_answer_is_under_way() {
    let (address, go) = in_two_pieces("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none", "two");
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; proxy_buffering off;
         add_header X-Peer \"$upstream_addr $upstream_status $upstream_response_time\"; }} }}"
    ));
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let head = read_until(&mut client, b"one");
    go.send(()).unwrap();
    assert!(head.contains(&format!("X-Peer: {address} 200 -\r\n")), "{head}");
}

#[test]
fn a_peer_that_does_not_have_a_page_is_asked_for_the_next_one() {
    let answers = |text: &'static str| {
        upstream(move |mut stream| {
            let head = read_head(&mut stream);
            let status = if head.starts_with("GET /there") { "200 OK" } else { "404 Not Found" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 1\r\n\r\n{text}");
            stream.write_all(answer.as_bytes()).unwrap();
        })
    };
    let (a, b) = (answers("a"), answers("b"));
    let front = Front::start(&format!(
        "upstream u {{ zone u 64k; server {a}; server {b}; }} server {{ LISTEN; location / {{
         proxy_pass http://u; proxy_next_upstream http_404; }} }}"
    ));
    assert_eq!(front.get("/none").status, 404);
    let mut texts: Vec<_> = (0..8).map(|_| front.get("/there").text().to_owned()).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts, ["a", "b"]);
}

#[test]
fn an_error_that_another_page_replaces_is_stored_all_the_same() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let address = upstream(move |mut stream| {
        read_head(&mut stream);
        counted.fetch_add(1, Ordering::SeqCst);
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "proxy_cache_path DIR/cache keys_zone=one:1m; server {{ LISTEN;
         location @page {{ return 404 page; }} location / {{ proxy_pass http://{address};
         proxy_cache one; proxy_cache_valid 404 1m; proxy_intercept_errors on;
         error_page 404 = @page; }} }}"
    ));
    for _ in 0..3 {
        let answer = front.get("/");
        assert_eq!((answer.status, answer.text()), (404, "page"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn an_address_out_of_variables_is_the_host_that_is_asked_for() {
    let address = upstream(|mut stream| {
        let head = read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; set $app http://{address}; location / {{ proxy_pass $app; }}
         location /show {{ proxy_pass http://$arg_b;
         add_header X-Host \"$proxy_host $proxy_port\" always; }} }}"
    ));
    let answer = front.get("/a");
    assert!(answer.text().contains(&format!("\r\nHost: {address}\r\n")), "{}", answer.text());
    let shown = |host: &str| front.get(&format!("/show?b={host}")).header("x-host").to_owned();
    assert_eq!(shown("127.0.0.1:1/x"), "127.0.0.1:1 1");
    assert_eq!(shown("[::1]:2"), "[::1]:2 2");
    assert_eq!(shown("unix:/none"), "localhost 80");
}

#[test]
fn a_redirect_without_a_host_leads_to_the_address_and_pipelined_requests_are_known() {
    let front = Front::start("server { LISTEN; server_name a.example; return 301 /x$pipe; }");
    let mut client = front.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let location = format!("http://127.0.0.1:{}/x.", front.port);
    assert_eq!(client.answer().header("location"), location);
    let mut client = front.client();
    let request = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    client.send(&format!("{request}{request}"));
    assert!(client.answer().header("location").ends_with("/x."));
    assert!(client.answer().header("location").ends_with("/xp"));
}
