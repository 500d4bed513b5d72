//! The far sides, each in a process of its own so that its work is not counted as the sink's. They
//! take everything.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the second process does: says where it listens, and plays `kind` (`http`, `robot` or
/// `smtp`) until it is killed.
pub(crate) async fn serve(kind: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let body = match kind {
        "robot" => r#"{"errcode":0,"errmsg":"ok"}"#,
        _ => "",
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let is_mail = kind == "smtp";
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let answer = answer.clone();
        tokio::spawn(async move {
            match is_mail {
                true => smtp(stream).await,
                false => http(stream, answer).await,
            }
        });
    }
}

/// Answers every request with `answer`.
async fn http(mut stream: TcpStream, answer: String) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let end = head + 4 + length.and_then(|text| text.parse().ok()).unwrap_or(0);
        while bytes.len() < end {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        bytes.drain(..end);
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Takes every mail.
async fn smtp(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    stream.write_all(b"220 peer\r\n").await?;
    let mut line = Vec::new();
    let mut in_text = false;
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match (in_text, line.as_slice()) {
            (true, b".\r\n") => {
                in_text = false;
                b"250 queued\r\n"
            }
            (true, _) => continue,
            (false, b"DATA\r\n") => {
                in_text = true;
                b"354 go on\r\n"
            }
            (false, _) => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}
