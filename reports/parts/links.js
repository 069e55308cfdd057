// What a page can only do while it is read; without them it is complete.
(() => {
  const page = document.documentElement.dataset;

  // The picture of a figure is saved from where it is shown, so that the page holds it once.
  for (const link of document.querySelectorAll("a[data-picture]")) {
    link.href = document.getElementById(link.dataset.picture).src;
  }

  // Links to files beside the page lead nowhere once it has been moved. From disk it may not look for its folder, so it
  // compares its place with the one where it was written; a web server can be asked.
  const apart = () => {
    document.getElementById("apart").hidden = false;
    for (const link of document.querySelectorAll("a[href]")) {
      const to = link.getAttribute("href");
      if (/^(#|[a-z]+:)/.test(to)) continue;
      link.title = `${decodeURI(to)}: not beside this file`;
      link.removeAttribute("href");
    }
  };
  if (!decodeURI(location.pathname).endsWith(`/${page.home}`)) {
    if (location.protocol === "file:") apart();
    else fetch(page.beside, { method: "HEAD" }).then((answer) => answer.ok || apart(), apart);
  }

  // The contents are a column where there is room, and else a bar that folds again when it has led somewhere.
  const contents = document.querySelector("nav details");
  const wide = matchMedia("(min-width: 80rem)");
  const fit = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fit);
  contents.addEventListener("click", (event) => { if (event.target.closest("a")) fit(); });
  fit();

  // A link to what is folded unfolds it.
  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    target.querySelector(":scope > details")?.setAttribute("open", "");
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();
})();
