/** The page of a job: progress, and buttons that do not leave the page. */

import "./changes.js";
import "./copying.js";
import "./finding.js";
import "./following.js";
