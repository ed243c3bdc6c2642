//! Docker's documented semantics, case by case.

use super::*;

/// `patterns` (separated by blanks), then paths with `-` (excluded) or `+` (goes in).
fn check(patterns: &str, paths: &str) {
    let compiled = Patterns::parse(&patterns.replace(' ', "\n"));
    for word in paths.split_whitespace() {
        let (sign, path) = word.split_at(1);
        let excluded = compiled.excludes(path).map(|pattern| pattern.text.clone());
        assert_eq!(excluded.is_some(), sign == "-", "{patterns:?} on {path}: excluded by {excluded:?}");
    }
}

#[test]
fn patterns_start_at_the_root() {
    check("node_modules", "-node_modules -node_modules/a/b.js +src/node_modules +node_modules2");
    check("*.md", "-a.md +docs/a.md +a.mdx");
    check("target/", "-target -target/x +sub/target");
    check("/build", "-build -build/x +sub/build");
    check("./tmp/../out", "-out +tmp");
    check("a/b", "-a/b -a/b/c +b +x/a/b +a");
    check("*/temp*", "-some/temporary.txt -some/temp +temp +a/b/temp");
    check("*/*/temp*", "-a/b/temp1 +a/temp1");
    check("temp?", "-tempa -tempb +temp +tempab +temp/");
}

#[test]
fn two_stars_cross_folders() {
    check("**/*.go", "-a.go -x/y/a.go +a.got");
    check("**/foo", "-foo -a/foo -a/b/foo -foo/x +xfoo +foox");
    check("**foo", "-foo -xfoo -a/xfoo +foox");
    check("**/foo/bar", "-foo/bar -a/foo/bar +foo +xfoo/bar");
    check("foo/**", "-foo/a -foo/a/b +foo +foobar/a");
    check("foo/**/bar", "-foo/bar -foo/x/bar -foo/x/y/bar +foo +foo/x");
    check("**", "-a -a/b");
    check("**/**", "-a -a/b");
    check("a**/b", "-a/b -ax/b +b");
    check("**/x/**", "-x/a -b/x/a +a/b");
    check("**/.git", "-.git -sub/.git/config +.gitignore");
}

#[test]
fn exclamation_marks_bring_back() {
    check("* !src", "-a.txt -docs/a +src +src/a/b");
    check("*.md !README.md", "-a.md +README.md");
    check("*.md !README*.md README-secret.md", "-a.md +README-x.md -README-secret.md");
    check("docs !docs/keep", "-docs/a +docs/keep +docs/keep/a");
    check("docs/** !docs/keep.md", "-docs/a +docs/keep.md");
    check("** !app/**", "-a -b/c +app/x +app/x/y");
    check("!a", "+a +b");
    check("a !a a", "-a -a/b");
    check("* !a a/b", "+a/c -a/b -c");
    check("a !a/b a/b/c", "-a/x +a/b/x -a/b/c");
}

#[test]
fn classes_and_escapes() {
    check("[a-c].txt", "-a.txt -c.txt +d.txt");
    check("[^a].txt", "-b.txt +a.txt");
    check("\\*.txt", "-*.txt +a.txt");
    check("\\!a", "-!a +a");
    check("a\\?b", "-a?b +axb");
    check("[[]x", "-[x +x");
    check("a.b", "-a.b +axb");
    check("a+(b)|{c}$", "-a+(b)|{c}$ +a");
    check("x^y*", "-x^yz +xyz");
    check("[a&&b]x", "-ax -&x -bx");
    check("[", "+a");
}

#[test]
fn a_file_has_comments_blanks_and_a_byte_order_mark() {
    let patterns = Patterns::parse("\u{feff}# one\n\n  a  \n ! b \n#c\n/\n.\n");
    let texts: Vec<_> = patterns.list.iter().map(|p| (p.text.as_str(), p.line, p.negated)).collect();
    assert_eq!(texts, [("a", 3, false), ("! b", 4, true), ("/", 6, false), (".", 7, false)]);
    assert!(patterns.excludes("a").is_some());
    assert!(patterns.excludes("b").is_none());
    assert!(patterns.excludes("x").is_none());
    assert!(Patterns::parse("with space/x y\n").excludes("with space/x y/z").is_some());
}

#[test]
fn a_folder_is_skipped_only_when_nothing_below_can_come_back() {
    let patterns = Patterns::parse("*\n!src/app/*.py\n");
    assert!(patterns.may_bring_back_below("src"));
    assert!(patterns.may_bring_back_below("src/app"));
    assert!(patterns.may_bring_back_below("src/app/deep"));
    assert!(!patterns.may_bring_back_below("node_modules"));
    assert!(Patterns::parse("*\n!**/*.py\n").may_bring_back_below("anything"));
    assert!(!Patterns::parse("a\n").may_bring_back_below("a"));
}

#[test]
fn everything_is_not_taken_literally_for_mounted_folders() {
    let patterns = Patterns::parse("*\n!src\n**\n/*\n**/*\nlogs\n").without_everything();
    assert!(patterns.excludes("main.py").is_none());
    assert!(patterns.excludes("logs/x").is_some());
}
