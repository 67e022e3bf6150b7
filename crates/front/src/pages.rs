//! The pages of statuses that nobody else has a page for.

use bytes::Bytes;

use crate::response::Response;

/// Heading of a status: these pages say `302 Found` where the status line says
/// `Moved Temporarily`; sites' tests compare both.
fn heading(status: u16) -> Option<&'static str> {
    Some(match status {
        302 => "302 Found",
        401 => "401 Authorization Required",
        408 => "408 Request Time-out",
        414 => "414 Request-URI Too Large",
        494 => "400 Request Header Or Cookie Too Large",
        495 => "400 The SSL certificate error",
        496 => "400 No required SSL certificate was sent",
        497 => "400 The plain HTTP request was sent to HTTPS port",
        _ => return None,
    })
}

/// Statuses that have a page at all.
fn has_page(status: u16) -> bool {
    matches!(status,
        301..=303 | 307 | 308 | 400..=406 | 408..=416 | 421 | 429 | 494..=497 | 500..=505 | 507)
}

/// Makes the page of `status`, or a response without body if there is none for it. The internal
/// statuses 494 to 497 (finer kinds of 400) go out as 400.
pub fn page(status: u16, product: &str) -> Response {
    let sent = if (494..=497).contains(&status) { 400 } else { status };
    if !has_page(status) {
        let mut response = Response::new(sent);
        if !response.is_bodiless() {
            response.length = Some(0);
        }
        return response;
    }
    let fallback = format!("{status} {}", message::reason(status));
    let heading = heading(status).unwrap_or(&fallback);
    let explanation = match status {
        494 => "<center>Request Header Or Cookie Too Large</center>\r\n",
        495 => "<center>The SSL certificate error</center>\r\n",
        496 => "<center>No required SSL certificate was sent</center>\r\n",
        497 => "<center>The plain HTTP request was sent to HTTPS port</center>\r\n",
        _ => "",
    };
    let (title, heading) = match status {
        494..=497 => (heading, "400 Bad Request"),
        _ => (heading, heading),
    };
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
         <center><h1>{heading}</h1></center>\r\n{explanation}\
         <hr><center>{product}</center>\r\n</body>\r\n</html>\r\n"
    );
    Response::memory(sent, Bytes::from_static(b"text/html"), Bytes::from(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Body;

    #[test]
    fn the_page_of_404_has_the_bytes_that_scripts_know() {
        let response = page(404, "nginx");
        assert_eq!(response.length, Some(146));
        let Body::Memory(bytes) = response.body else { panic!("no page") };
        assert!(bytes.starts_with(b"<html>\r\n<head><title>404 Not Found</title></head>"));
    }

    #[test]
    fn a_status_without_a_page_has_an_empty_body() {
        assert_eq!(page(418, "nginx").length, Some(0));
        assert_eq!(page(204, "nginx").length, None);
    }
}
