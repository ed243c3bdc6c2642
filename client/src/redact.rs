//! Taking out of a text what is nobody else's business: where a person's home is, and values that look like secrets.

use std::path::Path;

/// Parts of names whose values are taken out.
const SECRETIVE: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "credential"];

/// Values shorter than this are in too many words.
const SHORTEST: usize = 6;

/// What is to be taken out.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// Texts, the longest first, and what stands for each.
    known: Vec<(String, String)>,
}

impl Redactor {
    /// Takes out this home folder, and the values of these variables that have the names of secrets.
    pub(crate) fn new(home: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Self {
        let home = home.map(|home| home.display().to_string()).filter(|home| home.len() > 1);
        let mut known: Vec<(String, String)> = home.map(|home| (home, "~".to_owned())).into_iter().collect();
        let secrets = variables.filter(|(name, value)| is_secretive(name) && value.len() >= SHORTEST);
        known.extend(secrets.map(|(name, value)| (value, format!("[{name}]"))));
        known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { known }
    }

    /// The text without them.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (known, instead) in &self.known {
            text = text.replace(known.as_str(), instead);
        }
        text.split_inclusive('\n').map(|line| assignments(&credentials(&homes(line)))).collect()
    }
}

fn is_secretive(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRETIVE.iter().any(|part| name.contains(part)) || name.ends_with("_key") || name.ends_with("_pass")
}

/// Other people's home folders, and one's own under another name.
fn homes(line: &str) -> String {
    let mut out = line.to_owned();
    for folder in ["/home/", "/Users/"] {
        let mut parts = out.split(folder);
        let mut redacted = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(part.len());
            redacted.push_str(folder);
            redacted.push('…');
            redacted.push_str(&part[end..]);
        }
        out = redacted;
    }
    out
}

/// `user:password@` in addresses.
fn credentials(line: &str) -> String {
    let mut parts = line.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("://");
        let end = part.find(|c: char| c.is_whitespace() || "/\"'?#".contains(c)).unwrap_or(part.len());
        match part[..end].rfind('@') {
            Some(at) => {
                out.push_str("[…]");
                out.push_str(&part[at..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// `NAME=value`, `name: value` and `"name":"value"` where the name is that of a secret.
fn assignments(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let name = before[..at].trim_end_matches(['"', '\'', ' ']);
        let start = name
            .rfind(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)))
            .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
        rest = after;
        if is_secretive(&name[start..]) {
            let value = after.trim_start_matches([' ', '"', '\'']);
            let lead = after.len() - value.len();
            let quoted = after[..lead].chars().last().filter(|c| *c != ' ');
            let end = match quoted {
                Some(quote) => value.find([quote, '\n']),
                None => value.find(|c: char| c.is_whitespace() || ",;}".contains(c)),
            };
            let end = end.unwrap_or(value.len());
            out.push_str(&after[..lead]);
            if end > 0 {
                out.push_str("[…]");
            }
            rest = &value[end..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let variables = [("API_TOKEN", "hush-hush"), ("SHORT_TOKEN", "a"), ("LANG", "en_GB.UTF-8")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Redactor::new(Some(Path::new("/home/ada")), variables.into_iter()).text(text)
    }

    #[test]
    fn homes_have_no_names() {
        assert_eq!(redacted("/home/ada/shop and /home/bob/shop"), "~/shop and /home/…/shop");
        assert_eq!(redacted("/Users/eve.x/shop:/x"), "/Users/…/shop:/x");
        assert_eq!(redacted("/homework"), "/homework");
    }

    #[test]
    fn values_of_secrets_are_not_told() {
        assert_eq!(redacted("it said hush-hush aloud"), "it said [API_TOKEN] aloud");
        assert_eq!(redacted("a en_GB.UTF-8 b"), "a en_GB.UTF-8 b");
        assert_eq!(redacted("DB_PASSWORD=abc123 PORT=80\n"), "DB_PASSWORD=[…] PORT=80\n");
        assert_eq!(redacted("{\"token\":\"a b\",\"port\":80}"), "{\"token\":\"[…]\",\"port\":80}");
        assert_eq!(redacted("secret: 'x y'\nport: 1\n"), "secret: '[…]'\nport: 1\n");
        assert_eq!(redacted("AWS_ACCESS_KEY=x"), "AWS_ACCESS_KEY=[…]");
        assert_eq!(redacted("password=\n"), "password=\n");
        assert_eq!(redacted("the password is wrong"), "the password is wrong");
        assert_eq!(redacted("ä: ö=ü"), "ä: ö=ü");
    }

    #[test]
    fn addresses_have_no_passwords() {
        assert_eq!(redacted("postgres://me:pw@db/x, http://db/a@b"), "postgres://[…]@db/x, http://db/a@b");
    }
}
