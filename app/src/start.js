// Loads the compiled half of the console and brings every island of a part of the page to life,
// parents before children. `bursarAlive` does the same for parts that are put in later; until it is done, they
// say so (`data-waking`), because what is clicked meanwhile is the browser's.
const above = [];
async function alive(node) {
  if (node.tagName === "LEPTOS-ISLAND") {
    above.at(-1)?.();
    await islands[node.dataset.component]?.(node);
  }
  const children = node.tagName === "LEPTOS-CHILDREN";
  if (children) above.push(node.$$on_hydrate);
  for (const child of [...node.children]) await alive(child);
  if (children) above.pop();
}
await islands.default();
islands.hydrate();
await alive(document.body);
globalThis.bursarAlive = async (part) => {
  part.dataset.waking = "";
  await alive(part);
  delete part.dataset.waking;
};
document.documentElement.dataset.hydrated = "";
