/**
 * Makes an element. Attributes starting with "on" are listeners, `class`, `text` and `style` (an object)
 * are what they say; everything else is an attribute, left out where it is null or false.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      continue;
    }
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (name === "text") {
      element.textContent = value;
    } else if (name === "style") {
      for (const [property, css] of Object.entries(value)) {
        element.style.setProperty(property, css);
      }
    } else if (name === "value") {
      element.value = value;
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child);
    }
  }
  return element;
}

/** Makes these the children of an element, and leaves those alone that stand where they should: focus and what is open stay. */
export function arrange(element, children) {
  children.forEach((child, at) => {
    if (element.children[at] !== child) {
      element.insertBefore(child, element.children[at] ?? null);
    }
  });
  while (element.children.length > children.length) {
    element.lastChild.remove();
  }
}

/** Replaces the children of an element. */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Sets text only where it changes, so that screen readers and selections are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Says something to screen readers. */
export function announce(message) {
  document.getElementById("announcer").textContent = message;
}

let last = 0;

/** An id that no other element has. */
export function unique(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}
