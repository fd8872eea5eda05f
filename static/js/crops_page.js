/** The contact sheet of a job's crops. */

import "./changes.js";
import "./crop_point.js";
import "./polling.js";
