//! Reads `{"name": …, "arguments": {…}}` as it comes: the name once it is whole, the arguments piece by piece.

/// What is certain of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Name(String),
    Arguments(String),
}

/// Where a call stands after a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    Open,
    Done,
    /// This is no call.
    Broken,
}

#[derive(Debug, Default)]
pub(super) struct CallScanner {
    at: At,
    key: String,
    value: Value,
    name: Option<String>,
    /// Arguments that came before the name.
    early: String,
    has_arguments: bool,
    /// Nothing but the arguments is there to be read.
    only_arguments: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    Key,
    InKey,
    Colon,
    Value,
    AfterValue,
}

/// A JSON value that is being read.
#[derive(Debug, Default)]
struct Value {
    text: String,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(PartialEq, Eq)]
enum Read {
    More,
    /// The character was its last.
    Last,
    /// The character is behind it.
    Behind,
}

impl Value {
    fn push(&mut self, c: char) -> Read {
        if !self.in_string && self.depth == 0 && matches!(c, ',' | '}' | ']') {
            return Read::Behind;
        }
        self.text.push(c);
        if self.in_string {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => self.in_string = false,
                _ => {}
            }
            return if !self.in_string && self.depth == 0 { Read::Last } else { Read::More };
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Read::Last;
                }
            }
            _ => {}
        }
        Read::More
    }
}

impl CallScanner {
    /// A call whose name is known already; what follows are its arguments.
    pub(super) fn of_arguments(name: String) -> Self {
        Self { at: At::Value, key: "arguments".to_owned(), name: Some(name), only_arguments: true, ..Self::default() }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn push(&mut self, c: char, parts: &mut Vec<Part>) -> Scan {
        match (self.at, c) {
            (At::Start, '{') => self.at = At::Key,
            (At::Start | At::Key | At::Colon | At::AfterValue, c) if c.is_whitespace() => {}
            (At::Key, '"') => {
                self.key.clear();
                self.at = At::InKey;
            }
            (At::InKey, '"') => self.at = At::Colon,
            (At::InKey, c) => self.key.push(c),
            (At::Colon, ':') => {
                self.value = Value::default();
                self.at = At::Value;
            }
            (At::Value, c) if c.is_whitespace() && self.value.text.is_empty() => {}
            (At::Value, c) => return self.value(c, parts),
            (At::AfterValue, ',') => self.at = At::Key,
            (At::Key | At::AfterValue, '}') => return self.close(parts),
            _ => return Scan::Broken,
        }
        Scan::Open
    }

    fn value(&mut self, c: char, parts: &mut Vec<Part>) -> Scan {
        let read = self.value.push(c);
        let is_arguments = matches!(self.key.as_str(), "arguments" | "parameters");
        // A string holds the arguments once more encoded; it is decoded as a whole.
        if is_arguments && !self.value.text.starts_with('"') && read != Read::Behind {
            self.arguments(c.to_string(), parts);
        }
        if read == Read::More {
            return Scan::Open;
        }
        if is_arguments && self.value.text.starts_with('"') {
            match serde_json::from_str(&self.value.text) {
                Ok(text) => self.arguments(text, parts),
                Err(_) => return Scan::Broken,
            }
        }
        if self.key == "name" && self.name.is_none() {
            match serde_json::from_str::<String>(&self.value.text) {
                Ok(name) => self.named(name, parts),
                Err(_) => return Scan::Broken,
            }
        }
        if self.only_arguments {
            return Scan::Done;
        }
        self.at = At::AfterValue;
        if read == Read::Behind { self.push(c, parts) } else { Scan::Open }
    }

    fn named(&mut self, name: String, parts: &mut Vec<Part>) {
        parts.push(Part::Name(name.clone()));
        self.name = Some(name);
        if !self.early.is_empty() {
            parts.push(Part::Arguments(std::mem::take(&mut self.early)));
        }
    }

    fn arguments(&mut self, text: String, parts: &mut Vec<Part>) {
        self.has_arguments = true;
        match (&self.name, parts.last_mut()) {
            (None, _) => self.early.push_str(&text),
            (Some(_), Some(Part::Arguments(last))) => last.push_str(&text),
            (Some(_), _) => parts.push(Part::Arguments(text)),
        }
    }

    fn close(&mut self, parts: &mut Vec<Part>) -> Scan {
        if self.name.is_none() {
            return Scan::Broken;
        }
        if !self.has_arguments {
            parts.push(Part::Arguments("{}".to_owned()));
        }
        Scan::Done
    }
}
