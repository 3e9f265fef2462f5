//! Templates of WGSL: texts with holes, and lines that are repeated for each tensor of a class.
//!
//! A hole is `{{name}}`. A line that begins with `[class]` is written once for every [`Item`] of that class; consecutive lines of
//! this kind are written item by item, so that the tensors keep their order whatever their classes. `//# name` begins a
//! section of a file.

/// A tensor, or another item for which lines are repeated.
pub(crate) struct Item {
    pub classes: Vec<&'static str>,
    pub holes: Vec<(&'static str, String)>,
}

impl Item {
    fn is(&self, class: &str) -> bool {
        self.classes.contains(&class)
    }
}

/// The lines of a section, or nothing if the file has no such section.
pub(crate) fn section<'a>(file: &'a str, name: &str) -> &'a str {
    // The text before the first section is the comment that describes the file.
    let sections = file.split("//# ").skip(1);
    let mut sections = sections.filter_map(|section| section.split_once('\n'));
    sections.find(|(title, _)| *title == name).map_or("", |(_, text)| text)
}

/// Fills the holes of a text. The holes of the whole text are filled first; their values may contain holes of an item.
pub(crate) fn fill(text: &str, items: &[Item], holes: &[(&str, &str)]) -> String {
    let text = holes.iter().fold(text.to_owned(), |text, (name, value)| replaced(&text, name, value));
    let mut filled = String::with_capacity(text.len());
    let lines: Vec<&str> = text.lines().collect();
    // A block is a run of lines that all have a class, or a single line that has none.
    for block in lines.chunk_by(|a, b| class_of(a).is_some() && class_of(b).is_some()) {
        if block.iter().all(|line| class_of(line).is_none()) {
            block.iter().for_each(|line| push(&mut filled, line));
        } else {
            items.iter().for_each(|item| write_item(&mut filled, block, item));
        }
    }
    filled
}

fn write_item(filled: &mut String, block: &[&str], item: &Item) {
    let lines = block.iter().filter_map(|line| class_of(line));
    for (_, line) in lines.filter(|(class, _)| item.is(class)) {
        let line = item.holes.iter().fold(line.to_owned(), |line, (name, value)| replaced(&line, name, value));
        // Such lines are statements of a function, indented by one level.
        push(filled, &format!("    {line}"));
    }
}

/// The class of a line, and what is written for it.
fn class_of(line: &str) -> Option<(&str, &str)> {
    line.trim_start().strip_prefix('[')?.split_once("] ")
}

fn replaced(text: &str, name: &str, value: &str) -> String {
    // `format!` writes two braces for four; the fifth is the argument's own.
    text.replace(&format!("{{{{{name}}}}}"), value)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, classes: &[&'static str]) -> Item {
        Item { classes: classes.to_vec(), holes: vec![("name", name.to_owned())] }
    }

    #[test]
    fn lines_of_a_block_keep_the_order_of_the_items() {
        let items = [item("a", &["read"]), item("b", &["drawn"]), item("c", &["read"])];
        let text = "fn f() {\n    [read] {{name}} = {{from}};\n    [drawn] {{name}} = z;\n}\n";
        let filled = fill(text, &items, &[("from", "load_{{name}}")]);
        assert_eq!(filled, "fn f() {\n    a = load_a;\n    b = z;\n    c = load_c;\n}\n");
    }

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        let file = "// About it.\n//# load\nfn load() {}\n//# store\nfn store() {}\n";
        assert_eq!(section(file, "load"), "fn load() {}\n");
        assert_eq!(section(file, "store"), "fn store() {}\n");
        assert_eq!(section(file, "none"), "");
    }
}
