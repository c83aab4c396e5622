/**
 * Access to the document: elements, lists of elements, errors.
 *
 * @module messenger/dom
 */

const ERROR_SHOWN_MS = 8000;

export const $ = (id) => document.getElementById(id);

/** An element with properties and children. `label` is its accessible name. */
export function createElement(tag, { label, ...properties }, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (label) element.setAttribute("aria-label", label);
  element.append(...children.filter((child) => child));
  return element;
}

const TICKS = { pending: "◷", sent: "✓", delivered: "✓✓", read: "✓✓" };

/** A symbol with a name for screen readers. */
export const createIcon = (className, label, text) =>
  createElement("i", { className, role: "img", label }, text);

/** The symbol of a delivery status, if there is one. */
export const createTick = (tick) => tick && createIcon(`tick ${tick}`, tick, TICKS[tick]);

const renderedItems = new WeakMap(); // element -> its item as JSON

/** Updates a list of elements. Elements of unchanged items stay, and so does the focus. */
export function renderList(list, items, create) {
  const unused = new Map([...list.children].map((element) => [element.dataset.key, element]));
  const focused = list.contains(document.activeElement) && document.activeElement;
  const focusedKey = focused && focused.closest("[data-key]").dataset.key;
  items.forEach((item, index) => {
    let element = unused.get(String(item.key));
    const json = JSON.stringify(item);
    if (renderedItems.get(element) === json) unused.delete(String(item.key));
    else renderedItems.set((element = create(item)), json);
    element.dataset.key = item.key;
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
  unused.forEach((element) => element.remove());
  if (!focused || document.activeElement === focused) return;
  const same = `[data-key="${focusedKey}"] ${focused.localName}[class="${focused.className}"]`;
  list.querySelector(same)?.focus();
}

/** Shows an error for a while. A dialog hides the rest of the page, so it has a place for errors itself. */
export function showError(text) {
  const place = document.querySelector("dialog[open] [role=alert]") ?? $("error");
  place.textContent = text;
  setTimeout(() => (place.textContent = ""), ERROR_SHOWN_MS);
}
