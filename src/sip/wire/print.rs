//! Messages to bytes. Whatever the fields hold, no value can break out of its line: control characters become blanks.

use super::head::is_escaped;
use crate::sip::header::table::name_and_value;
use crate::sip::header::text;
use crate::sip::message::{Message, method_name, reason_of, request_uri_text};
use rsip::{Header, Headers, Request, Response};

/// Writes a message behind what `out` holds; Content-Length is always the body's.
pub fn print(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Request(request) => print_request(request, out),
        Message::Response(response) => print_response(response, out),
    }
}

/// Writes a request behind what `out` holds.
pub fn print_request(request: &Request, out: &mut Vec<u8>) {
    out.extend_from_slice(method_name(request.method).as_bytes());
    out.push(b' ');
    out.extend(request_uri_text(request).bytes().filter(|byte| *byte > b' ' && *byte != 0x7f));
    out.extend_from_slice(b" SIP/2.0\r\n");
    headers_and_body(&request.headers, &request.body, out);
}

/// Writes a response behind what `out` holds.
pub fn print_response(response: &Response, out: &mut Vec<u8>) {
    out.extend_from_slice(b"SIP/2.0 ");
    number(usize::from(response.status_code.code()), out);
    out.push(b' ');
    line_text(reason_of(&response.status_code), out);
    out.extend_from_slice(b"\r\n");
    headers_and_body(&response.headers, &response.body, out);
}

/// A message's bytes in a buffer of their own.
pub fn to_bytes(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024 + message.body().len());
    print(message, &mut out);
    out
}

fn headers_and_body(headers: &Headers, body: &[u8], out: &mut Vec<u8>) {
    for header in headers.iter() {
        let (name, value) = name_and_value(header);
        if matches!(header, Header::ContentLength(_)) || !text::is_token_text(name) {
            continue;
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        line_text(value, out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: ");
    number(body.len(), out);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

fn line_text(value: &str, out: &mut Vec<u8>) {
    let bytes = value.as_bytes();
    if memchr::memchr3(b'\r', b'\n', 0, bytes).is_none() {
        return out.extend_from_slice(bytes);
    }
    out.extend(bytes.iter().enumerate().map(|(at, byte)| match byte {
        b'\r' | b'\n' => b' ',
        0 if !is_escaped(bytes, at) => b' ',
        other => *other,
    }));
}

fn number(mut value: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(digits.len() - used));
}
