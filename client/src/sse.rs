//! Server-sent events: bytes in, messages out.

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// `event:`, empty when there is none.
    pub(crate) event: String,
    /// `id:`, empty when there is none.
    pub(crate) id: String,
    /// The `data:` lines, joined by line ends.
    pub(crate) data: String,
}

/// What has been read of a message so far.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    message: Message,
    has_data: bool,
    after_return: bool,
}

impl Parser {
    /// Takes the next bytes, wherever they were cut, and returns the messages they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut complete = Vec::new();
        for &byte in bytes {
            // A line ends with \n, \r or \r\n.
            let second_half = byte == b'\n' && std::mem::take(&mut self.after_return);
            self.after_return = byte == b'\r';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => complete.extend(self.end_line()),
                byte => self.line.push(byte),
            }
        }
        complete
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return std::mem::take(&mut self.has_data).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.message.event),
            "id" => value.clone_into(&mut self.message.id),
            // Comments (an empty field) keep the connection alive; `retry` and unknown fields say nothing to us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&str]) -> Vec<(String, String, String)> {
        let mut parser = Parser::default();
        let messages = chunks.iter().flat_map(|chunk| parser.push(chunk.as_bytes()));
        messages.map(|m| (m.id, m.event, m.data)).collect()
    }

    fn message(id: &str, event: &str, data: &str) -> (String, String, String) {
        (id.to_owned(), event.to_owned(), data.to_owned())
    }

    #[test]
    fn messages_come_out_however_the_bytes_are_cut() {
        let text = "id: 1\nevent: status\ndata: {\"a\":1}\n\n:\n\nid:2\r\ndata: x\r\ndata: y\r\n\r\ndata: \u{e9}\r\r";
        let expected = [message("1", "status", "{\"a\":1}"), message("2", "", "x\ny"), message("", "", "é")];
        assert_eq!(all(&[text]), expected);

        let mut parser = Parser::default();
        let one_by_one: Vec<_> = text.as_bytes().chunks(1).flat_map(|byte| parser.push(byte)).collect();
        assert_eq!(one_by_one.len(), 3);
        assert_eq!(one_by_one[1].data, "x\ny");
        assert_eq!(one_by_one[2].data, "é");
    }

    #[test]
    fn comments_and_unfinished_messages_are_nothing() {
        assert_eq!(all(&[": keep-alive\n\n", "event: x\n\n", "data: half\n"]), []);
    }

    #[test]
    fn empty_data_is_a_message() {
        assert_eq!(all(&["data\n\n"]), [message("", "", "")]);
    }
}
