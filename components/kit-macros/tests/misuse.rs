//! Misuse of the attributes gives one compile error each, where the mistake stands, which says what to write.

#[test]
fn mistakes_are_told_in_words() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
