//! A front in front of scripted upstreams: what they are told, and what becomes of their answers.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{Front, log_lines, read_head, upstream};

#[test]
fn a_proxied_request_says_what_the_client_said_without_what_was_for_us() {
    let address = upstream(|mut stream| {
        let head = read_head(&mut stream);
        let answer = format!("HTTP/1.1 200 Fine\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location /a/ {{ proxy_pass http://{address}/b/; \
         proxy_set_header X-Real $remote_addr; }} }}"
    ));
    let mut client = front.client();
    client.send("GET /a/c%20d?e HTTP/1.1\r\nHost: t\r\nX-A: 1\r\nProxy: evil\r\nTE: gzip\r\n\r\n");
    let answer = client.answer();
    assert!(answer.head.starts_with("HTTP/1.1 200 Fine\r\n"));
    let told = answer.text();
    assert!(told.starts_with("GET /b/c%20d?e HTTP/1.1\r\n"), "{told}");
    assert!(told.contains("X-Real: 127.0.0.1\r\n") && told.contains("X-A: 1\r\n"), "{told}");
    assert!(!told.contains("evil") && !told.contains("TE:"), "{told}");
}

#[test]
fn an_answer_that_breaks_off_is_not_whole_for_the_client_either() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        stream.write_all(start.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; }} }}"
    ));
    let answer = front.get("/");
    assert_eq!((answer.text(), answer.whole), ("hello", false));
    let log = log_lines(&front.directory.join("error.log"), 1);
    assert!(log.contains("upstream prematurely closed connection while reading upstream"), "{log}");
}

#[test]
fn an_upstream_that_is_not_there_is_502_and_the_log_names_its_socket() {
    let front = Front::start(
        "server { LISTEN; location / { include uwsgi_params; uwsgi_pass unix:DIR/none.sock; } }",
    );
    let answer = front.get("/");
    assert_eq!(answer.status, 502);
    let log = log_lines(&front.directory.join("error.log"), 1);
    let path = front.directory.join("none.sock").display().to_string();
    assert!(log.contains(&format!("connect() to unix:{path} failed (2: No such file")), "{log}");
    assert!(log.contains(&format!("upstream: \"uwsgi://unix:{path}:\"")), "{log}");
}

#[test]
fn a_chunked_body_reaches_a_uwsgi_upstream_with_its_length() {
    let address = upstream(|mut stream| {
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        let mut vars = vec![0; usize::from(u16::from_le_bytes([head[1], head[2]]))];
        stream.read_exact(&mut vars).unwrap();
        let mut body = [0; 6];
        stream.read_exact(&mut body).unwrap();
        let has_length = vars.windows(17).any(|it| it == b"CONTENT_LENGTH\x01\x006");
        let text = format!("{has_length} {}", String::from_utf8_lossy(&body));
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{text}").unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ uwsgi_param CONTENT_LENGTH $content_length; \
         uwsgi_pass {address}; }} }}"
    ));
    let mut client = front.client();
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
    assert_eq!(client.answer().text(), "true abcdef");
}

#[test]
fn a_body_in_a_file_is_whole_and_the_request_behind_it_is_answered() {
    let address = upstream(|mut stream| {
        let head = read_head(&mut stream);
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |text| text.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        let is_same = body.iter().enumerate().all(|(at, byte)| *byte == b'a' + (at % 23) as u8);
        let text = format!("{} {is_same}", body.len());
        let length = text.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}").unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; \
         client_body_buffer_size 16k; }} }}"
    ));
    for bytes in [16 << 10, (16 << 10) + 1, 300_000, 1_000_000] {
        let body: String = (0..bytes).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        let mut client = front.client();
        let post = format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {bytes}\r\n\r\n{body}");
        client.send(&format!("{post}GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
        assert_eq!(client.answer().text(), format!("{bytes} true"));
        assert_eq!(client.answer().text(), "0 true");
        for cut in [1, 40, 120, post.len() / 2, post.len() - 1] {
            client.send(&post[..cut]);
            std::thread::yield_now();
            client.send(&post[cut..]);
            assert_eq!(client.answer().text(), format!("{bytes} true"));
        }
    }
}

#[test]
fn unbuffered_pieces_reach_the_client_as_they_come() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let address = upstream(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none").unwrap();
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(b"two").unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; proxy_buffering off; }} }}"
    ));
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let mut seen = Vec::new();
    while !seen.ends_with(b"one") {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    go.send(()).unwrap();
    let mut rest = [0; 3];
    client.stream.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"two");
}

/// More than the sockets on the way hold.
const LONG_BYTES: usize = 48 << 20;

/// An upstream of one long answer; says when it has got rid of it.
fn long_answer() -> (String, std::sync::mpsc::Receiver<()>) {
    let (done, wait) = std::sync::mpsc::channel();
    let address = upstream(move |mut stream| {
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LONG_BYTES}\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; LONG_BYTES]).unwrap();
        done.send(()).unwrap();
    });
    (address, wait)
}

#[test]
fn a_client_that_takes_nothing_does_not_keep_the_upstream_waiting() {
    let (address, wait) = long_answer();
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; }} }}"
    ));
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    wait.recv_timeout(std::time::Duration::from_secs(20)).expect("the upstream is held");
    assert!(front.directory.join("proxy").is_dir(), "there is no file");
    let answer = client.answer();
    assert!(answer.whole);
    assert!(answer.body.iter().all(|byte| *byte == b'x'));
}

#[test]
fn without_a_file_the_upstream_waits_for_the_client() {
    let (address, wait) = long_answer();
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; \
         proxy_max_temp_file_size 0; }} }}"
    ));
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let answer = client.answer();
    assert!(answer.whole);
    wait.recv().unwrap();
    assert!(!front.directory.join("proxy").exists(), "there is a file");
}

#[test]
fn twelve_clients_of_a_cached_page_are_one_request_upstream() {
    let hits = Arc::new(AtomicU32::new(0));
    let counted = hits.clone();
    let address = upstream(move |mut stream| {
        while !read_head(&mut stream).is_empty() {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer =
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCache-Control: max-age=60\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            std::thread::yield_now();
            stream.write_all(b"hello").unwrap();
        }
    });
    let front = Front::start(&format!(
        "proxy_cache_path DIR/cache levels=1:2 keys_zone=z:1m; server {{ LISTEN; location / {{ \
         proxy_pass http://{address}; proxy_cache z; proxy_cache_lock on; \
         add_header X-Cache $upstream_cache_status; }} }}"
    ));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(front.get("/page").text(), "hello"));
        }
    });
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    assert_eq!(front.get("/page").header("x-cache"), "HIT");
}

#[test]
fn a_truncated_answer_is_never_stored() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let start =
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nhalf";
        stream.write_all(start.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "proxy_cache_path DIR/cache keys_zone=z:1m; server {{ LISTEN; location / {{ \
         proxy_pass http://{address}; proxy_cache z; add_header X-Cache $upstream_cache_status; }} }}"
    ));
    for _ in 0..2 {
        let answer = front.get("/page");
        assert_eq!((answer.header("x-cache"), answer.whole), ("MISS", false));
    }
}

#[test]
fn x_accel_redirect_leads_to_a_file_that_clients_cannot_ask_for() {
    let address = upstream(|mut stream| {
        read_head(&mut stream);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Accel-Redirect: /in/a.txt\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let front = Front::start(&format!(
        "server {{ LISTEN; location / {{ proxy_pass http://{address}; }} \
         location /in/ {{ internal; alias DIR/html/; }} }}"
    ));
    front.file("a.txt", b"inside");
    assert_eq!(front.get("/in/a.txt").status, 404);
    assert_eq!(front.get("/").text(), "inside");
}
