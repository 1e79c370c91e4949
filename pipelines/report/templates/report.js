// Optional comfort: the page says everything without it.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  // Short loops play while they are seen.
  const loops = document.querySelectorAll(".move video, .gen video");
  if (!still && "IntersectionObserver" in window) {
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) target.play().catch(() => {});
        else target.pause();
      }
    }, { threshold: 0.4 });
    for (const video of loops) {
      if (video.closest(".move")) video.removeAttribute("controls");
      watch.observe(video);
    }
  }
  // Find clips by words and by outcome.
  const grid = document.getElementById("grid");
  const tools = document.querySelector(".tools");
  if (grid && tools) {
    tools.hidden = false;
    const find = document.getElementById("find");
    const chips = [...tools.querySelectorAll(".chip")];
    const show = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.outcome);
      for (const card of grid.children) {
        const said = words.every((word) => card.dataset.text.includes(word));
        card.hidden = !said || (wanted.length > 0 && !wanted.includes(card.dataset.outcome));
      }
    };
    find.addEventListener("input", show);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        show();
      });
    }
  }
  // Mark the section in view.
  const links = new Map([...document.querySelectorAll(".toc a")].map((a) => [a.hash.slice(1), a]));
  if ("IntersectionObserver" in window) {
    const spy = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-20% 0px -70% 0px" });
    for (const section of document.querySelectorAll("section[id]")) spy.observe(section);
  }
})();
