//! Templates as they come.

/// transformers marks the assistant's part for training with `{% generation %}`; for rendering the tags mean nothing.
pub(super) fn without_generation_tags(source: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(source.len()), source);
    while let Some((before, tag, after)) = next_tag(rest) {
        out.push_str(before);
        let name = tag.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+'));
        let neutral = match name {
            "generation" => Some("if true"),
            "endgeneration" => Some("endif"),
            _ => None,
        };
        out.push_str("{%");
        match neutral {
            Some(neutral) => out.push_str(&tag.replacen(name, neutral, 1)),
            None => out.push_str(tag),
        }
        out.push_str("%}");
        rest = after;
    }
    out + rest
}

fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{%")?;
    let (tag, after) = rest.split_once("%}")?;
    Some((before, tag, after))
}

#[cfg(test)]
mod tests {
    use super::without_generation_tags;

    #[test]
    fn only_the_generation_tags_change() {
        let source = "a{%- generation -%}b{% endgeneration %}{% if x == '{%' %}c{% endif %}{% open";
        let expected = "a{%- if true -%}b{% endif %}{% if x == '{%' %}c{% endif %}{% open";
        assert_eq!(without_generation_tags(source), expected);
    }
}
