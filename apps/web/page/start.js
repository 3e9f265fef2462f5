// Loads the program. What it offers to the console, and to tests, is window.tweedie.
try {
  const page = await import("./tweedie_web.js");
  await page.default();
  window.tweedie = page;
} catch (error) {
  console.error(error);
  document.getElementById("notice-title").textContent = "This page does not run here";
  document.getElementById("notice-text").textContent = `It needs a current browser. ${error}`;
  document.getElementById("notice").hidden = false;
}
