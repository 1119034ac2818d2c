// Columns that are too long for one workgroup are cut into parts, and a workgroup takes a part; `column` must be included before, with 256
// lanes, and `p` has columns, c, parts, and the elements of a part.
struct Span {
    column: u32,
    // The column's first element.
    first: u32,
    // The elements of the column that the part has.
    start: u32,
    end: u32,
}

// The part number `job`, counted over all columns.
fn span_of(job: u32) -> Span {
    var at: Span;
    at.column = job / p.parts;
    at.first = first_of(at.column);
    at.start = job % p.parts * p.part;
    at.end = min(at.start + p.part, p.c);
    return at;
}

// The column of element `i` of a tensor [outer, c, inner].
fn column_around(i: u32) -> u32 {
    return i / (p.c * p.inner) * p.inner + i % p.inner;
}
