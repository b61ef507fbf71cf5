// The text: an element for every character, and its colours.

class Text {
  constructor(element) {
    this.element = element;
    this.show(null);
  }

  // Show a text that has been read.
  show(read) {
    this.read = read;
    this.length = read ? read.ids.length : 0;
    this.spans = [];
    const lines = [];
    let ended = true;
    for (let i = 0; i < this.length; i++) {
      if (ended) lines.push(document.createElement("div"));
      const span = document.createElement("span");
      span.textContent = DATA.symbols[read.ids[i]];
      this.spans.push(span);
      lines.at(-1).append(span);
      ended = span.textContent === "↵";
    }
    this.element.replaceChildren(...lines);
    this.places = new Map(this.spans.map((span, i) => [span, i]));
  }

  // Colour every character by a level from -31 to 31.
  paint(levelOf) {
    for (let i = 0; i < this.length; i++) {
      const level = levelOf(i);
      this.spans[i].className = level ? (level > 0 ? "p" + level : "m" + -level) : "";
    }
  }

  // Mark the character that is looked at.
  mark(i) {
    this.element.querySelector("[data-at]")?.removeAttribute("data-at");
    this.spans[i]?.setAttribute("data-at", "");
  }

  // Scroll no further than to bring a character into view.
  reveal(i) {
    this.spans[i]?.scrollIntoView({ block: "nearest" });
  }

  // Return where a character is, in the window.
  place(i) {
    return this.spans[i].getBoundingClientRect();
  }

  // Return the character so many lines below, as they are laid out, nearest to this column.
  below(i, lines) {
    const step = Math.sign(lines);
    const away = (j) => Math.abs(this.place(j).left - left);
    const { left } = this.place(i);
    let at = i;
    for (let line = 0; line < Math.abs(lines); line++) {
      const begin = this.edge(at, step) + step;
      if (!(begin in this.spans)) break;
      const far = this.edge(begin, step);
      at = begin;
      for (let j = begin; j !== far + step; j += step) if (away(j) < away(at)) at = j;
    }
    return at;
  }

  // Return the first (step -1) or last (step 1) character of a line.
  edge(i, step) {
    const { top } = this.place(i);
    while (i + step in this.spans && Math.abs(this.place(i + step).top - top) < 4) i += step;
    return i;
  }
}
