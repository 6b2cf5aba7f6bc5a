//! Licence expressions as SPDX writes them: names joined by `OR`, `AND` and `WITH`, and parentheses. Older manifests
//! write `/` for `OR`.

/// Whether an expression can be met with licences that are all accepted. `accepted` is asked about a single licence, or
/// about a licence `WITH` its exception in one string.
///
/// # Errors
/// Says what could not be understood, if the expression is not one.
pub(crate) fn is_met(expression: &str, accepted: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, accepted };
    let met = reader.alternatives()?;
    match reader.words.first() {
        None => Ok(met),
        Some(word) => Err(format!("unexpected {word:?} in {expression:?}")),
    }
}

struct Reader<'a> {
    /// What is not read yet.
    words: &'a [&'a str],
    accepted: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn alternatives(&mut self) -> Result<bool, String> {
        let mut met = self.together()?;
        while self.take("OR") {
            met |= self.together()?;
        }
        Ok(met)
    }

    fn together(&mut self) -> Result<bool, String> {
        let mut met = self.single()?;
        while self.take("AND") {
            met &= self.single()?;
        }
        Ok(met)
    }

    fn single(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let met = self.alternatives()?;
            return if self.take(")") { Ok(met) } else { Err("a parenthesis is not closed".into()) };
        }
        let licence = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Ok((self.accepted)(&format!("{licence} WITH {exception}")));
        }
        Ok((self.accepted)(licence))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.words.split_first() {
            Some((word, rest)) if !["(", ")", "OR", "AND", "WITH"].contains(word) => {
                self.words = rest;
                Ok(word)
            }
            Some((word, _)) => Err(format!("{word:?} where a licence was expected")),
            None => Err("the expression ends where a licence was expected".into()),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }
}

#[test]
fn one_accepted_alternative_is_enough_but_all_of_a_conjunction_are_needed() {
    let accepted = |licence: &str| ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
    let met = |expression| is_met(expression, &accepted);
    assert_eq!(met("MIT"), Ok(true));
    assert_eq!(met("GPL-3.0-only"), Ok(false));
    assert_eq!(met("GPL-3.0-only OR MIT"), Ok(true));
    assert_eq!(met("GPL-3.0-only/MIT"), Ok(true));
    assert_eq!(met("GPL-3.0-only AND MIT"), Ok(false));
    assert_eq!(met("GPL-3.0-only AND MIT OR Zlib"), Ok(true), "AND binds closer than OR");
    assert_eq!(met("GPL-3.0-only AND (MIT OR Zlib)"), Ok(false));
    assert_eq!(met("(GPL-3.0-only OR MIT) AND Zlib"), Ok(true));
    assert_eq!(met("Apache-2.0 WITH LLVM-exception"), Ok(true));
    assert_eq!(met("Apache-2.0 WITH another-exception"), Ok(false));
}

#[test]
fn what_is_no_expression_is_an_error() {
    for expression in ["", "MIT OR", "(MIT", "MIT Zlib", "AND MIT", "MIT WITH"] {
        assert!(is_met(expression, &|_| true).is_err(), "{expression:?}");
    }
}
