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
    const all = document.createDocumentFragment();
    for (let i = 0; i < this.length; i++) {
      const symbol = DATA.symbols[read.ids[i]];
      const span = document.createElement("span");
      span.textContent = symbol === "↵" ? "↵\n" : symbol;
      this.spans.push(span);
      all.append(span);
    }
    this.element.replaceChildren(all);
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
    const span = this.spans[i];
    const box = this.element;
    const top = span.offsetTop;
    if (top < box.scrollTop) box.scrollTop = top - 8;
    const below = top + span.offsetHeight - box.clientHeight;
    if (below > box.scrollTop) box.scrollTop = below + 8;
  }

  // Return the character so many lines below, as they are laid out, nearest to this column.
  below(i, lines) {
    const step = Math.sign(lines);
    const left = this.spans[i].offsetLeft;
    let at = i;
    for (let line = 0; line < Math.abs(lines); line++) {
      const begin = this.edge(at, step) + step;
      if (!(begin in this.spans)) break;
      const far = this.edge(begin, step);
      at = begin;
      for (let j = begin; j !== far + step; j += step) {
        const nearer = Math.abs(this.spans[j].offsetLeft - left);
        if (nearer < Math.abs(this.spans[at].offsetLeft - left)) at = j;
      }
    }
    return at;
  }

  // Return the first (step -1) or last (step 1) character of a line.
  edge(i, step) {
    const top = this.spans[i].offsetTop;
    while (i + step in this.spans && Math.abs(this.spans[i + step].offsetTop - top) < 4) i += step;
    return i;
  }
}
